/** The thread of a log, as it is built: the contract of its host through it. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Storage from '../../../src/storage/index.ts'
import { logHostContract } from '../../contracts/log-host.contract.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href
const storage = (await import(built)) as typeof Storage

logHostContract('on a thread, on the real disk', () => ({
  dir: join(tempFolder(), 'wal'),
  options: { maxFileSize: 64 * 1024, sectorBytes: 4096 },
  makeHost: () => storage.threadLogHost(),
  during: (work) => work,
}))
