/**
 * Judges the end of a log from facts alone. A tail is torn only if nothing proves that its frames
 * were durable. Otherwise acknowledged frames are missing, and a cut would hide it. Pure.
 *
 *   a proof beyond   short without   ended where      bytes
 *   the last frame   an end mark     it was closed    behind      →
 *   yes              –               –                –           corrupt: acknowledged frames missing
 *   no               yes             –                –           corrupt: the file was cut
 *   no               no              yes              –           clean
 *   no               no              no               yes         torn
 *   no               no              no               no          unclean
 */
import type { Evidence } from '../ports/log-host.ts'

/** The facts about the end of a log. */
export type EndFacts = {
  /** The last valid frame. */
  readonly lastLsn: number
  /** The proofs of how far the log was durable. */
  readonly proofs: readonly Evidence[]
  /**
   * The newest file is shorter than allocated, without the SEAL or CLEAN_CLOSE after which it is
   * cut on purpose.
   */
  readonly isShort: boolean
  /** The last frame is the CLEAN_CLOSE of the MANIFEST. */
  readonly isClosed: boolean
  /** There are bytes other than zero after the last valid frame. */
  readonly hasBytesBehind: boolean
}

/** The verdict. `provenLsn`: frames up to here are known to be durable. */
export type EndVerdict =
  | { readonly kind: 'clean' | 'unclean' | 'torn'; readonly provenLsn: number }
  | { readonly kind: 'corrupt'; readonly evidence: string }

/** Judges the end of a log by the table above. */
export const judgeEnd = (facts: EndFacts): EndVerdict => {
  const best = strongest(facts.proofs)
  if (best && best.lsn > facts.lastLsn)
    return {
      kind: 'corrupt',
      evidence: `${best.source} proves frames up to lsn ${best.lsn}, but the last valid one is ${facts.lastLsn}`,
    }
  if (facts.isShort)
    return { kind: 'corrupt', evidence: 'the file is shorter than it was allocated' }
  if (facts.isClosed) return { kind: 'clean', provenLsn: facts.lastLsn }
  return { kind: facts.hasBytesBehind ? 'torn' : 'unclean', provenLsn: best?.lsn ?? 0 }
}

/** The remark about bytes after the CLEAN_CLOSE of the MANIFEST: the log did not write them. */
export const strayRemark = (file: string, bytes: number): string =>
  `${file} has ${bytes} bytes behind the end of the closed log: they are not part of it, and opening moves them to quarantine/`

const strongest = (proofs: readonly Evidence[]): Evidence | undefined =>
  proofs.reduce<Evidence | undefined>(
    (best, proof) => (best && best.lsn >= proof.lsn ? best : proof),
    undefined,
  )
