/** The page of `keelson observe`, and the protocol between it and its server. */
export type * from './entity-answers.ts'
export { jobNames, processNames, runNames } from './fact-names.ts'
export {
  buildText,
  clockText,
  jobWaitTexts,
  limitsText,
  mailboxText,
  nextTexts,
  originText,
  queueConditions,
  runWaitText,
  triesText,
  unnamedOf,
  unreadText,
  type Wait,
  waitLine,
} from './fact-words.ts'
export type * from './process-answers.ts'
export type * from './protocol.ts'
export { runStatuses, stateTones, toneOf } from './state-tones.ts'
export type * from './storage-answers.ts'
export type * from './words.ts'
