export { type ClickhouseDoor, createClickhouseDoor, matchClickhouseUrl } from './door.ts';
export { createOwnPort, type OwnPort } from './own-port.ts';
