/** The text that waits in a stream. From Node 26 on `read` gives one chunk of it, before that all. */
import type { Readable } from 'node:stream'

export const streamText = (stream: Readable): string => {
  let text = ''
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) text += chunk
  return text
}
