/** The meaning of a refusal of the engine, for a group and for the host of the log. Pure. */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { EngineGroup, EngineHead, EnginePosition, LossProof } from '../../storage/index.ts'

/**
 * The consequence of a refused append.
 * - `again`: the group before it was missing; it is appended again after that one.
 * - `fenced`: another owner has the log. No attempt at the group takes effect afterwards.
 * - `moved`: another group has its place.
 * - `lost`: the engine lost groups that it had acknowledged.
 * - `refused`: the engine refuses to work.
 */
export type AppendVerdict = 'again' | 'fenced' | 'moved' | 'lost' | 'refused'

/**
 * The verdict on a refusal. `isBehind`: the group before was acknowledged before this attempt was
 * made.
 */
export const verdictOn = (
  error: unknown,
  { after }: EngineGroup,
  isBehind: boolean,
): AppendVerdict => {
  if (isKeelsonError(error, 'FENCED')) return 'fenced'
  if (isKeelsonError(error, 'CORRUPT')) return 'lost'
  if (!isKeelsonError(error, 'CONFLICT')) return 'refused'
  const { end } = headIn(error)
  if (end.lsn > after.lsn) return 'moved'
  return isBehind ? 'lost' : 'again'
}

/** The head that a refusal carries. */
export const headIn = (error: KeelsonError): EngineHead => error.details.head as EngineHead

/**
 * Why the host of an owner ends after a verdict on `group`. `moved` is damage too: nobody but the
 * owner writes in its epoch. `acknowledged`: the last group that was.
 */
export const ownersEnd = (
  verdict: Exclude<AppendVerdict, 'again'>,
  { after }: EngineGroup,
  cause: unknown,
  acknowledged?: EnginePosition,
): KeelsonError => {
  if (verdict === 'fenced') return fenced(cause)
  if (verdict === 'refused') return engineDown('the engine refused an append', cause)
  const evidence =
    verdict === 'lost'
      ? 'the engine lost what it had acknowledged'
      : 'the engine has a group there that its owner did not write'
  const proof: LossProof | undefined = acknowledged && { lsn: acknowledged.lsn, end: acknowledged }
  return new KeelsonError('CORRUPT', `the log is damaged after lsn ${after.lsn}: ${evidence}`, {
    details: { lsn: after.lsn + 1, evidence, isLoss: true, ...(proof && { proof }) },
    cause,
  })
}

/**
 * The damage that a read of the log shows, as the loss of acknowledged groups; `undefined` if the
 * error shows none. An engine that is away, or does not show a group yet, has no answer
 * (`UNKNOWN_OUTCOME`). A damaged file is no damage of the log, and an error that says itself whether
 * it shows a loss needs no judgement.
 */
export const lossShown = (error: unknown): KeelsonError | undefined => {
  if (!isKeelsonError(error, 'CORRUPT')) return undefined
  const { message, details, cause } = error
  if (details.file !== undefined || details.isLoss !== undefined) return undefined
  return new KeelsonError('CORRUPT', message, { details: { ...details, isLoss: true }, cause })
}

/** The host ends because its engine does not serve it. The next host may go on with the log. */
export const engineDown = (message: string, cause?: unknown): KeelsonError =>
  new KeelsonError('SHARD_DOWN', message, { details: { reason: 'engine' }, cause })

/** The host ends because the log has another owner. */
export const fenced = (cause: unknown): KeelsonError =>
  new KeelsonError('FENCED', 'another owner has taken the log', { cause })
