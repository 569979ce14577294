/** The simulated disk keeps the contract that the disk of the machine keeps. What only it can do is in simulated-disk-*.test.ts. */
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { diskContract } from '../../contracts/disk.contract.ts'

diskContract('the simulated disk', () => {
  const disk = simulatedDisk()
  disk.makeFolder('/data')
  return { disk, dir: '/data', end: () => {} }
})
