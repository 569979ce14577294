/** A folder of the test's own, removed when the test ends. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'

/** Makes an empty folder below the system's folder for such, and answers its path. */
export const tempFolder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A folder of all the tests around the call, which its answer names once they have begun. */
export const folderOfSuite = (): (() => string) => {
  let made: string
  beforeAll(() => {
    made = mkdtempSync(join(tmpdir(), 'keelson-'))
  })
  afterAll(() => rmSync(made, { recursive: true, force: true }))
  return () => made
}

/** A folder whose content `make` makes once for all tests around the call; each call of the answer copies it. */
export const folderMadeOnce = (make: (dir: string) => Promise<unknown>): (() => string) => {
  let made: string
  beforeAll(async () => {
    made = mkdtempSync(join(tmpdir(), 'keelson-'))
    await make(made)
  })
  afterAll(() => rmSync(made, { recursive: true, force: true }))
  return () => {
    const dir = tempFolder()
    cpSync(made, dir, { recursive: true, preserveTimestamps: true })
    return dir
  }
}
