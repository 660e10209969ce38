export type { Catalog, Definition, Versioned } from './port.ts';
export { openCatalog } from './sqlite.ts';
