/** The version of this package, from its `package.json`: a member says it to the others. */
import { createRequire } from 'node:module'

/** The version, such as `0.1.0`. */
export const packageVersion = (): string => {
  const { version } = createRequire(import.meta.url)('keelson/package.json') as { version: string }
  return version
}
