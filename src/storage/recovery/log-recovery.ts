/**
 * What the end of a log is, decided from facts alone. A torn tail can only be where nothing proves that its frames had
 * been durable; where something does, frames were acknowledged and are gone, and cutting would hide it. Pure.
 *
 *   a proof beyond   short without   ended where      bytes
 *   the last frame   an end mark     it was closed    behind      →
 *   yes              –               –                –           corrupt: acknowledged frames are missing
 *   no               yes             –                –           corrupt: the file was cut
 *   no               no              yes              –           clean
 *   no               no              no               yes         torn
 *   no               no              no               no          unclean
 */
import type { Evidence } from '../ports/log-host.ts'

/** What is known of the end of a log. */
export type EndFacts = {
  /** The last whole frame. */
  readonly lastLsn: number
  /** Whatever proves how far the log once was durable. */
  readonly proofs: readonly Evidence[]
  /** The newest file is shorter than it was allocated, and does not end with SEAL or CLEAN_CLOSE, after which it is cut on purpose. */
  readonly isShort: boolean
  /** The last frame is the CLEAN_CLOSE that the MANIFEST names. */
  readonly isClosed: boolean
  /** Something else than zeros stands behind the last whole frame. */
  readonly hasBytesBehind: boolean
}

/** The verdict. `provenLsn`: up to here frames are known to be durable. */
export type EndVerdict =
  | { readonly kind: 'clean' | 'unclean' | 'torn'; readonly provenLsn: number }
  | { readonly kind: 'corrupt'; readonly evidence: string }

/** Judges the end of a log by the table above. */
export const judgeEnd = (facts: EndFacts): EndVerdict => {
  const best = strongest(facts.proofs)
  if (best && best.lsn > facts.lastLsn)
    return {
      kind: 'corrupt',
      evidence: `${best.source} proves frames up to lsn ${best.lsn}, and the last whole one is ${facts.lastLsn}`,
    }
  if (facts.isShort)
    return { kind: 'corrupt', evidence: 'the file is shorter than it was allocated' }
  if (facts.isClosed) return { kind: 'clean', provenLsn: facts.lastLsn }
  return { kind: facts.hasBytesBehind ? 'torn' : 'unclean', provenLsn: best?.lsn ?? 0 }
}

/** What people are told of bytes behind a CLEAN_CLOSE that the MANIFEST names: the log wrote none there. */
export const strayRemark = (file: string, bytes: number): string =>
  `${file} has ${bytes} bytes behind the end of the closed log: they are no part of it, and opening puts them into quarantine/`

const strongest = (proofs: readonly Evidence[]): Evidence | undefined =>
  proofs.reduce<Evidence | undefined>(
    (best, proof) => (best && best.lsn >= proof.lsn ? best : proof),
    undefined,
  )
