/** The contract of disks, for the real one and the simulated one. */
import { describe } from 'vitest'
import { type DiskUnderTest, diskBench } from './disk-bench.ts'
import { diskFiles } from './disk-files.contract.ts'
import { diskLocks } from './disk-locks.contract.ts'
import { diskNames } from './disk-names.contract.ts'

/** Describes the contract for one implementation. */
export const diskContract = (name: string, start: () => DiskUnderTest): void => {
  describe(`${name} as a disk`, () => {
    const under = diskBench(start)
    diskFiles(under)
    diskNames(under)
    diskLocks(under)
  })
}
