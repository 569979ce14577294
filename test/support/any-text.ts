/** Any well-formed text, from fast-check. */
import fc, { type StringConstraints } from 'fast-check'

/** How many code points are surrogates, which no well-formed text has alone. */
const surrogates = 0xe000 - 0xd800

/**
 * Any character. It is the unit `'binary'` of `fc.string`, which remembers all 1.1 million of them in a table of 85 MB.
 */
const character = fc.nat(0x10ffff - surrogates).map(
  (index) => String.fromCodePoint(index < 0xd800 ? index : index + surrogates),
  (found) => {
    const text = String(found)
    const point = text.codePointAt(0)
    const isCharacter = text === String.fromCodePoint(point ?? 0)
    if (point === undefined || !isCharacter || (point >= 0xd800 && point < 0xe000))
      throw new Error('no character')
    return point < 0xd800 ? point : point - surrogates
  },
)

/** Texts of any characters. */
export const anyText = (limits: Omit<StringConstraints, 'unit'> = {}) =>
  fc.string({ ...limits, unit: character })
