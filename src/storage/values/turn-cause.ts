/**
 * The bytes of a turn's cause: its message in two words, such as `call place`, and the process that
 * called, if that is known. A handler's bytes are made once, so a turn only copies them. For those
 * who look back: nothing is decided by it. Pure.
 */
import { utf8Length } from '../../bytes/utf8.ts'

/** The message that a turn handled, and the process that called. */
export type LoggedCause = { readonly what: string; readonly by?: string }

/** The greatest length of each text, in bytes. */
const textBytesMax = 60

/** The greatest length of the bytes of a cause: two texts and what is between them. */
export const causeBytesMax = 2 * textBytesMax + 1

/** The bytes: a text, and after a NUL the other one. */
export const encodeCause = (what: string, by?: string): Uint8Array =>
  Buffer.from(by === undefined ? bounded(what) : `${bounded(what)}\0${bounded(by)}`)

/** The cause of these bytes. */
export const decodeCause = (bytes: Uint8Array): LoggedCause => {
  const [what = '', by] = Buffer.from(bytes).toString().split('\0')
  return by === undefined ? { what } : { what, by }
}

/** Whether `what` is that text as a cause has it. */
export const saysCause = (what: string, text: string): boolean => what === bounded(text)

/** The text, or as much of it as a cause may have. */
const bounded = (text: string): string => {
  // No text of so many characters has fewer bytes.
  const head = text.length > textBytesMax ? text.slice(0, textBytesMax + 1) : text
  const sound = head.replaceAll('\0', '\ufffd')
  if (utf8Length(sound) <= textBytesMax) return sound
  let cut = ''
  let left = textBytesMax - utf8Length('…')
  for (const each of sound) {
    left -= utf8Length(each)
    if (left < 0) break
    cut += each
  }
  return `${cut}…`
}
