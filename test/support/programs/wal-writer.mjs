// Uses `keelson/wal` as built, in one of the ways that its first argument names, on the folder that its second does.
// Reports on pipe 3, each entry after its answer: the parent holds the ledger.
import { writeSync } from 'node:fs'
import { Wal } from 'keelson/wal'

const [mode, dir, first = '0'] = process.argv.slice(2)
const report = (line) => writeSync(3, `${line}\n`)

try {
  const wal = await Wal.open({ dir, maxFileSize: 1024 * 1024 })
  report(`open ${wal.report.lastLsn}`)
  let next = Number(first)
  const append = async () => {
    const number = next++
    const { lsn } = await wal.append(
      number % 60_000,
      Buffer.from(`${number} ${'x'.repeat(number % 700)}`),
    )
    report(`${number} ${lsn}`)
  }
  const writer = async () => {
    while (mode === 'flood') await append()
  }
  if (mode === 'flood') await Promise.all(Array.from({ length: 64 }, writer))
  if (mode === 'hold') process.stdin.resume()
  // It neither closes the log nor exits: nothing is left to do, so the process ends.
  if (mode === 'leave') for (let count = 0; count < 20; count++) await append()
  if (mode === 'close') {
    const appended = append()
    await wal.close()
    await appended
  }
} catch (error) {
  report(`error ${error.code} ${JSON.stringify(error.details)}`)
}
