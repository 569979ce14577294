/** Up to this many bytes a loop costs less than the view that `set` needs. */
const shortPart = 128

/** Copies the bytes of `from` from `start` up to `end` into `into`, from `at` on. */
export const copyPart = (
  from: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
  at: number,
): void => {
  if (end - start > shortPart) into.set(from.subarray(start, end), at)
  else
    for (let index = start; index < end; index++) into[at + index - start] = from[index] as number
}
