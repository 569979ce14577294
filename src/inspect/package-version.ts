/** The version of this package, out of its own `package.json`. */
import { readFileSync } from 'node:fs'

/** As npm knows it: `0.1.0`. */
export const packageVersion = (): string => {
  const file = new URL('../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
