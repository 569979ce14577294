/** Where the last messages of a stream begin. Pure. */
import { offsetOf, placeIn } from '../../storage/index.ts'

/** The offset before the last `count` messages of a stream with these ends. */
export const offsetBefore = (
  { start, end }: { readonly start: string; readonly end: string },
  count: number,
): string => {
  const [from, to] = [placeIn(start, 'start'), placeIn(end, 'end')]
  return offsetOf({ birth: to.birth, number: Math.max(from.number, to.number - count) })
}
