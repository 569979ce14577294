/** The version of this package, from its `package.json`. */
import { readFileSync } from 'node:fs'

/** The version, such as `0.1.0`. */
export const packageVersion = (): string => {
  const file = new URL(import.meta.resolve('keelson/package.json'))
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
