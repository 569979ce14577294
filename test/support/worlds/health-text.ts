/** `health()` of the prompt as its text. */
import { inspect } from 'node:util'
import { failureWords } from '../../../src/inspect/prompt/failure-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { App } from '../../../src/supervisors/index.ts'

/** The text that `health()` at the prompt of this instance prints. */
export const healthText = (app: App): string => inspect(failureWords(app, plainPaint).health())
