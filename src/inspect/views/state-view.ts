/** A state of a part of the instance as text, in its colour. Pure. */
import { type stateTones, toneOf } from '../../observe/index.ts'
import type { Paint } from '../text/paint.ts'

/** The state, coloured if it is not ordinary. */
export const stateText = (part: keyof typeof stateTones, state: string, paint: Paint): string => {
  const tone = toneOf(part, state)
  return tone === undefined ? state : paint(tone === 'warn' ? 'odd' : tone, state)
}
