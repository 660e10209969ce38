export type { Catalog, Definition, Versioned } from './port.ts';
export { refuseUnlessVersion } from './precondition.ts';
export { openCatalog } from './sqlite.ts';
