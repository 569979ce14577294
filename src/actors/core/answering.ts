/** Answers of actors that come later: their process goes on with its mailbox until then. */
import type { From } from '../../runtime/index.ts'

/** Answers the call when `work` has settled. Never rejects, also if a user's `from` throws. */
export const answerWith = <R>(from: From<R>, work: Promise<R>): Promise<unknown> =>
  work
    .then(
      (value) => from.reply(value),
      (error: unknown) => from.fail(error),
    )
    .catch(() => undefined)
