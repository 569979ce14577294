// Lives of instances in new folders below that of the first argument, in a process with few descriptors left: from the
// start on, or (`run` as the second argument) from the first write on, while actors are killed. The other arguments say
// how many are left. Reports on pipe 3 how each life went, and the value that a life with descriptors finds after it.
import { closeSync, openSync, writeSync } from 'node:fs'
import { start } from 'keelson'

const [root, from, ...counts] = process.argv.slice(2)

/** Leaves `count` descriptors, and answers how to give the others back. */
const leave = (count) => {
  const taken = []
  try {
    for (;;) taken.push(openSync('/dev/null'))
  } catch {
    for (const descriptor of taken.splice(0, count)) closeSync(descriptor)
    return () => {
      for (const descriptor of taken.splice(0)) closeSync(descriptor)
    }
  }
}

const codeOf = (promise) =>
  promise.then(
    () => 'ok',
    ({ code }) => code ?? 'no code',
  )

/** Writes, kills what owns files, and writes again. */
const use = async (app) => {
  const codes = [await codeOf(app.store.put('a', 1, { deadlineMs: 300 }))]
  for (const name of ['lmdb_writer(0)', 'applier(0)', 'wal_writer(0)']) {
    app.system.kill(name)
    codes.push(await codeOf(app.store.put(name, 1, { deadlineMs: 300 })))
  }
  codes.push(await codeOf(app.control.flushAll({ timeoutMs: 300 })))
  return codes
}

const life = async (dir, left) => {
  const giveBack = from === 'start' ? leave(left) : undefined
  const app = await start({ dir, logger: { error() {}, warn() {}, info() {} } }).catch(
    (error) => error,
  )
  if (app instanceof Error) {
    giveBack?.()
    return { refused: app.code ?? 'no code' }
  }
  const giveLater = giveBack ?? leave(left)
  const codes = await use(app)
  giveLater()
  await codeOf(app.close({ deadlineMs: 1_000 }))
  return { codes }
}

// Whatever Node and LMDB load is loaded before descriptors are taken.
await (await start({ dir: `${root}/first` })).close()
for (const left of counts.map(Number)) {
  const dir = `${root}/${left}`
  const found = await life(dir, left)
  const app = await start({ dir })
  await app.store.put('last', 1)
  found.last = app.store.get('last')
  await app.close()
  writeSync(3, `${JSON.stringify({ left, ...found })}\n`)
}
