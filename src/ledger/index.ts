export { acknowledge, sealedTo, unseal } from '../catalog/index.ts';
export { createLedger, type LedgerOptions, type RunningLedger } from './ledger.ts';
export * from './port.ts';
