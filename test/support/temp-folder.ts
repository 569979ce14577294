/** A folder of the test's own, removed when the test ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Makes an empty folder below the system's folder for such, and answers its path. */
export const tempFolder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
