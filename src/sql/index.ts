/** What may be asked of the engine in words of its own: decided from the engine's reading of the text, never from the text alone. */
export { guardExpression } from './expression.ts';
export { isAllowedFunction } from './functions.ts';
export { checkNodes, checkText, ownRelations, type Verdict } from './guard.ts';
export {
  type Guarded,
  guardQuestion,
  type QuestionParts,
  type Reading,
  type Relation,
  readAndGuard,
  readQuestion,
} from './question.ts';
export { explainToAsker } from './refusal.ts';
export { checkTree } from './tree.ts';
export { isValueType } from './types.ts';
