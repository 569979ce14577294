import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeDisk } from '../../src/storage/node-disk.ts'
import { diskContract } from '../contracts/disk.contract.ts'

for (const [name, options] of [
  ['the machine’s disk', {}],
  ['the machine’s disk without flock', { flock: false }],
] as const)
  diskContract(name, () => {
    const dir = mkdtempSync(join(tmpdir(), 'keelson-disk-'))
    return {
      disk: nodeDisk(options),
      dir,
      end: () => rmSync(dir, { recursive: true, force: true }),
    }
  })
