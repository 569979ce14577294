// Opens a filled folder, and begins work that takes long: a snapshot, a rebuild of a projection by users, a backup, a watch.
// Once it is under way it closes the instance, and does nothing more: its process must end by itself. Reports on pipe 3.
// A service begins the same work by `begin`. Arguments: the work, the folder, the folder of the backup.
import { writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { projection, start, telemetry } from 'keelson'

/** Takes 2 ms for each row. */
const slow = () => {
  const end = performance.now() + 2
  while (performance.now() < end);
  return []
}

/** The options of an instance for a work. */
export const optionsFor = (work) => ({
  snapshot: { bytesPerSecond: 50_000 },
  projections: work === 'rebuild' ? [projection('slow', { version: 1, project: slow })] : [],
})

const works = {
  snapshot: async ({ control }, system, isUnderWay) => {
    telemetry(system).on('snapshot.started', isUnderWay)
    await control.snapshot(0)
  },
  rebuild: async (_app, _system, isUnderWay) => isUnderWay(),
  backup: async (app, _system, isUnderWay, to) => {
    await app.backup(to, { onProgress: isUnderWay })
  },
  watch: async ({ store }, _system, isUnderWay) => {
    const changes = store.watch()
    await store.put('a', 1)
    for await (const _ of changes) isUnderWay()
  },
}

/** Begins the work; `isUnderWay` is called once it has begun. */
export const begin = (work, app, system, isUnderWay, to) => {
  works[work](app, system, isUnderWay, to).catch(() => undefined)
}

const run = async ([work, dir, to]) => {
  const app = await start({ dir, ...optionsFor(work) })
  await new Promise((resolve) => begin(work, app, app.system, resolve, to))
  writeSync(3, 'under way\n')
  await app.close()
  writeSync(3, 'closed\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await run(process.argv.slice(2))
