/** Refusals of calls to a run: the call fails, and the run goes on as it was. */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { noReply } from '../../runtime/index.ts'
import type { State } from '../runs/messages.ts'

/** A refusal that ends no process. */
export const refuse = (
  state: State,
  { from }: { readonly from: { fail(error: unknown): void } },
  error: KeelsonError,
) => {
  from.fail(error)
  return noReply(state)
}

/** The answer of a call that reads before it writes. An unreadable value refuses the call. */
export const orRefused = async <A>(
  state: State,
  context: Parameters<typeof refuse>[1],
  answer: () => Promise<A>,
): Promise<A | ReturnType<typeof refuse>> => {
  try {
    return await answer()
  } catch (error) {
    const isRefusal = refusals.some((code) => isKeelsonError(error, code))
    if (!isRefusal) throw error
    return refuse(state, context, error as KeelsonError)
  }
}

const refusals = ['CORRUPT', 'INVALID_ARGUMENT', 'TOO_LARGE', 'SHARD_DOWN', 'ELSEWHERE'] as const
