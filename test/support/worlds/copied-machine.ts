/** A copy of a simulated machine on which nothing runs: its files, and the rows of a projection. */
import { type Machine, machine } from './simulated-instance.ts'

const lmdb = '/data/shard-0/lmdb'

/** The copy. All that it has is durable. */
export const copiedMachine = async (origin: Machine, seed: number): Promise<Machine> => {
  const copy = machine({ seed })
  await copy.clock.advance(origin.clock.monotonic())
  copyFolder(origin, copy, '/data')
  const examined = await origin.projections.examine(lmdb)
  if (examined.state === 'sound' && examined.position) {
    const store = copy.projections.open(lmdb, 2 ** 30)
    const rows = [...origin.projections.open(lmdb, 2 ** 30).range({})]
    await store.commit(rows, examined.position)
    await store.close()
  }
  return copy
}

const copyFolder = (origin: Machine, copy: Machine, dir: string): void => {
  copy.disk.makeFolder(dir)
  for (const name of origin.disk.list(dir)) {
    const path = `${dir}/${name}`
    if (origin.disk.entry(path)?.kind === 'folder') {
      copyFolder(origin, copy, path)
      continue
    }
    const file = copy.disk.open(path, 'create')
    file.write(origin.disk.contents(path), 0)
    file.sync()
    file.close()
  }
  copy.disk.syncFolder(dir)
}
