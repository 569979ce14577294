// Writes to many logs and stores at once, so that one kill or power cut strikes all of them. Arguments: `unsynced` or
// `synced`, then for each folder `wal` or `store`, the folder, and the first number. Reports on pipe 3, each entry after its
// answer: which folder, number, LSN. The parent holds the ledger.
import { writeSync } from 'node:fs'
import { start } from 'keelson'
import { Wal } from 'keelson/wal'

const [how, ...places] = process.argv.slice(2)
const report = (line) => writeSync(3, `${line}\n`)
const textOf = (number) => `${number} ${'x'.repeat((number * 37) % 900)}`

const openWal = async (dir) => {
  const wal = await Wal.open({ dir, maxFileSize: 128 * 1024, enableFsync: how === 'synced' })
  return {
    put: async (number) => (await wal.append(number % 60_000, Buffer.from(textOf(number)))).lsn,
    sync: () => wal.sync(),
  }
}

const openStore = async (dir) => {
  const app = await start({ dir, wal: { maxFileSize: 256 * 1024 } })
  return {
    put: async (number) => (await app.store.put(`key:${number}`, textOf(number))).position.lsn,
  }
}

const flood = async (at, log, first) => {
  let next = first
  const writer = async () => {
    for (;;) {
      const number = next++
      const lsn = await log.put(number)
      report(`${at} ${number} ${lsn}`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, writer))
}

// Ten entries that are synced, which alone are promised; when it is told to go on, more that are only written, each for itself.
const leaveUnsynced = async (at, log, first) => {
  for (let number = first; number < first + 10; number++) {
    const lsn = await log.put(number)
    await log.sync()
    report(`${at} ${number} ${lsn}`)
  }
  report(`${at} ready`)
  await goAhead
  for (let number = first + 10; number < first + 50; number++) await log.put(number)
  report(`${at} written`)
}

const goAhead = new Promise((resolve) => process.stdin.once('data', resolve))

report('begun')
const folders = Array.from({ length: places.length / 3 }, (_, at) =>
  places.slice(3 * at, 3 * at + 3),
)
try {
  await Promise.all(
    folders.map(async ([kind, dir, first], at) => {
      const log = await (kind === 'wal' ? openWal(dir) : openStore(dir))
      await (how === 'synced' ? flood : leaveUnsynced)(at, log, Number(first))
    }),
  )
  process.stdin.resume()
} catch (error) {
  // On a disk whose power is gone every call fails: that is an end like any other.
  report(`failed ${error.code}`)
  process.stdin.resume()
}
