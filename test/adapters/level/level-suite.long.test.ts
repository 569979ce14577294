/** The published test suite of abstract-level, whole, on a real folder. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// @ts-expect-error: the suite has no types.
import suite from 'abstract-level/test/index.js'
import { start } from 'keelson'
import { KeelsonLevel } from 'keelson/level'
import { silentLogger } from 'keelson/testing'
import { afterAll } from 'vitest'
import { tapeTest } from '../../support/tape-tests.ts'

// The suite makes its first database while it registers its tests.
const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
// The suite asks nothing of the disk, and each of its writes would wait for one.
const app = await start({ dir, wal: { enableFsync: false }, logger: silentLogger })
afterAll(async () => {
  await app.close()
  rmSync(dir, { recursive: true })
})

let made = 0
suite({
  test: tapeTest,
  factory: (options: object) => {
    made += 1
    return new KeelsonLevel(app.store, `level-${made}`, options)
  },
})
