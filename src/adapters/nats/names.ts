/** The names of streams and subjects. Names of users may have characters that NATS takes otherwise. Pure. */

/** A name as one token: letters, digits and `-` stay, other bytes become `_` and two digits. */
export const token = (name: string): string =>
  [...Buffer.from(name)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9-]/.test(character) ? character : `_${byte.toString(16).padStart(2, '0')}`
    })
    .join('')

/** The name that `token` got. */
export const nameIn = (made: string): string =>
  Buffer.from(
    made.replace(/[^_]|_(..)/g, (character, hex?: string) =>
      hex ? hex : character.charCodeAt(0).toString(16).padStart(2, '0'),
    ),
    'hex',
  ).toString()

/** The streams of a cluster, and the beginnings of their subjects. */
export const namesOf = (cluster: string) => {
  const name = token(cluster)
  return {
    directory: { stream: `KEELSON_${name}_DIRECTORY`, subject: `keelson.${name}.directory` },
    files: { stream: `KEELSON_${name}_FILES`, subject: `keelson.${name}.files` },
    log: (log: string): StreamName => ({
      stream: `KEELSON_${name}_LOG_${token(log)}`,
      subject: `keelson.${name}.log.${token(log)}`,
    }),
  }
}

/** A stream, and the beginning of its subjects. */
export type StreamName = { readonly stream: string; readonly subject: string }
