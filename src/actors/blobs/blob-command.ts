/**
 * Prepares commands for the log: values of at least `threshold` bytes become blobs, and references
 * take their place. One put makes the blobs durable before any frame refers to them. `append` and
 * `setRange` move only their suffix or patch. A reference is recognised by its tag, so bytes of
 * users that look like one stay bytes.
 */
import {
  type BlobRef,
  blobRope,
  encodeRope,
  type FrameUnits,
  isAlone,
  type StoredValue,
  type Unit,
  unitsIn,
  unitWithValues,
  valuesOfUnit,
  valueTags,
} from '../../storage/index.ts'

/** The rules that decide whether a value becomes a blob. */
export type BlobTerms = {
  /** In bytes, inclusive; 0: no value becomes a blob. */
  readonly threshold: number
  /** Other members apply the same log without these blob files, so commands stay whole. */
  readonly replicated: boolean
}

/** Makes payloads durable and returns their references in order. Payloads are handed over. */
export type PutPayloads = (payloads: readonly Uint8Array[]) => Promise<readonly BlobRef[]>

/**
 * Whether a value in the units would become a blob. This cheap check keeps small writes free of any
 * cost.
 */
export const sideChannelCandidate = (units: FrameUnits, terms: BlobTerms): boolean => {
  if (terms.threshold <= 0 || terms.replicated) return false
  return isAlone(units) ? hasLarge(units, terms) : units.some((unit) => hasLarge(unit, terms))
}

const hasLarge = (unit: Unit, terms: BlobTerms): boolean => {
  if (unit.kind === 'put') return isLarge(unit.value, terms)
  for (const value of valuesOfUnit(unit)) if (isLarge(value, terms)) return true
  return false
}

/**
 * Returns the units with references in place of their large values, which are durable by then.
 * Returns the units themselves if no value is large. There is one put, whatever the number of
 * values.
 * @throws what `put` throws: then no unit refers to a blob
 */
export const withBlobs = async (
  frame: FrameUnits,
  terms: BlobTerms,
  put: PutPayloads,
): Promise<readonly Unit[]> => {
  const units = unitsIn(frame)
  if (!sideChannelCandidate(units, terms)) return units
  const large = new Map<StoredValue, number>()
  for (const unit of units)
    for (const value of valuesOfUnit(unit))
      if (isLarge(value, terms) && !large.has(value)) large.set(value, large.size)
  const refs = await put([...large.keys()].map(({ bytes }) => bytes))
  const replaced = (value: StoredValue): StoredValue => {
    const at = large.get(value)
    return at === undefined ? value : blobValueRef(value.tag, refAt(refs, at))
  }
  return units.map((unit) => unitWithValues(unit, replaced))
}

/** The value that refers to a blob whose content has the kind `tag`. */
export const blobValueRef = (tag: StoredValue['tag'], ref: BlobRef): StoredValue => {
  if (tag === valueTags.blob) throw new Error('a rope cannot be the content of a blob')
  return { tag: valueTags.blob, bytes: encodeRope(blobRope(tag, ref)) }
}

const isLarge = ({ tag, bytes }: StoredValue, { threshold }: BlobTerms): boolean =>
  tag !== valueTags.blob && bytes.length >= threshold

const refAt = (refs: readonly BlobRef[], at: number): BlobRef => {
  const ref = refs[at]
  if (!ref) throw new Error('the put returned fewer references than payloads')
  return ref
}
