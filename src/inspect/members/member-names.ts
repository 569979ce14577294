/** The names of the members that `keelson run --members` starts. Pure. */

/** a to z, then aa, ab, and so on. With another count the same names come first. */
export const memberNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => nameOf(index))

const letters = 26
const firstLetter = 97

const nameOf = (index: number): string => {
  const last = String.fromCharCode(firstLetter + (index % letters))
  return index < letters ? last : `${nameOf(Math.floor(index / letters) - 1)}${last}`
}
