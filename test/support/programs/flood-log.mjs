// Appends 2,000 entries to a log with 32 writers, busying Node's own pool meanwhile, and reports each answered one on pipe 3, then
// how it ended. In segments that a limit on file sizes allows at first.
import { randomBytes, scrypt } from 'node:crypto'
import { writeSync } from 'node:fs'
import { Wal } from 'keelson/wal'

const [dir] = process.argv.slice(2)
const report = (line) => writeSync(3, `${line}\n`)
const textOf = (number) => `${number} ${'x'.repeat((number * 37) % 900)}`

let next = 0
try {
  // The first segment of a life is small; those behind it have their full size, which a limit may refuse.
  const wal = await Wal.open({ dir, maxFileSize: 256 * 1024 })
  const later = await reopened(wal)
  for (let at = 0; at < 8; at++) scrypt(randomBytes(16), 'salt', 32, () => undefined)
  const writer = async () => {
    for (let number = next++; number < 2000; number = next++) {
      const { lsn } = await later.append(number, Buffer.from(textOf(number)))
      report(`${number} ${lsn}`)
    }
  }
  await Promise.all(Array.from({ length: 32 }, writer))
  await later.close()
  report('end all')
} catch (error) {
  report(`end ${error.code}`)
  process.exit()
}

async function reopened(wal) {
  await wal.close()
  return Wal.open({ dir, maxFileSize: 4 * 1024 * 1024 })
}
