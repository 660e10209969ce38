export { memoryCache } from './memory.ts';
export { type CacheOptions, cacheMistake, openCaches } from './open.ts';
export type * from './port.ts';
export { redisCache } from './redis.ts';
