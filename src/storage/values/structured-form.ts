/**
 * Whether bytes from outside have the form of a structured value. msgpackr trusts what it reads: it
 * follows lengths, extensions and definitions of records wherever they lead. So bytes that no
 * checksum of ours protects are looked through first, in one walk that allocates nothing. Only what
 * `value.ts` writes passes: no extensions, no floats of 32 bits, names of text, every length within
 * the bytes. Pure.
 */

/** The deepest nesting: that of a value, and the lists around it. */
const depthMax = 264

/** The sizes of the fixed forms from `c0` to `df`; `undefined` for a form that is never written. */
const fixedSizes: readonly (number | undefined)[] = [
  // nil, unused, false, true
  0,
  undefined,
  0,
  0,
  // bin, which has a length; ext
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  // float of 32 and of 64 bits
  undefined,
  8,
  // unsigned and signed integers
  1,
  2,
  4,
  8,
  1,
  2,
  4,
  8,
]

/** Whether `bytes` are exactly one value in the form of a structured one. */
export const hasStructuredForm = (bytes: Uint8Array): boolean => {
  const walk = new StructuredWalk(bytes)
  return walk.value(0) && walk.isAtEnd
}

/** The walk, from a byte on. */
export class StructuredWalk {
  protected bytes: Uint8Array
  protected at: number

  constructor(bytes: Uint8Array, from = 0) {
    this.bytes = bytes
    this.at = from
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length
  }

  /** Passes a value. False: it has not the form. */
  value(depth: number): boolean {
    const lead = this.bytes[this.at++]
    if (lead === undefined || depth > depthMax) return false
    if (lead <= 0x7f || lead >= 0xe0) return true
    if (lead <= 0x8f) return this.map(lead & 0x0f, depth)
    if (lead <= 0x9f) return this.#list(lead & 0x0f, depth)
    if (lead <= 0xbf) return this.#skip(lead & 0x1f)
    switch (lead) {
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#skip(this.length(1 << (lead - 0xc4)))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#skip(this.length(1 << (lead - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.#list(this.length(2 << (lead - 0xdc)), depth)
      case 0xde:
      case 0xdf:
        return this.map(this.length(2 << (lead - 0xde)), depth)
      default:
        return this.#skip(fixedSizes[lead - 0xc0] ?? Number.POSITIVE_INFINITY)
    }
  }

  #list(count: number, depth: number): boolean {
    if (!this.has(count)) return false
    for (let left = count; left > 0; left--) if (!this.value(depth + 1)) return false
    return true
  }

  protected map(count: number, depth: number): boolean {
    if (!this.has(2 * count)) return false
    for (let left = count; left > 0; left--)
      if (!this.text() || !this.value(depth + 1)) return false
    return true
  }

  /** A name. */
  protected text(): boolean {
    const lead = this.bytes[this.at++] ?? 0
    if (lead >= 0xa0 && lead <= 0xbf) return this.#skip(lead & 0x1f)
    if (lead < 0xd9 || lead > 0xdb) return false
    return this.#skip(this.length(1 << (lead - 0xd9)))
  }

  /** The number in the next `size` bytes, which may be beyond the end. */
  protected length(size: number): number {
    let length = 0
    for (let left = size; left > 0; left--) length = length * 256 + (this.bytes[this.at++] ?? 0)
    return length
  }

  protected has(size: number): boolean {
    return size <= this.bytes.length - this.at
  }

  #skip(size: number): boolean {
    if (!this.has(size)) return false
    this.at += size
    return true
  }
}
