// Appends to a log of `keelson/wal` as built, in the folder of the first argument, while the process has no descriptor
// left. Reports on pipe 3: the codes of the refused appends, the numbers of the others, the numbers that a reader finds.
import { closeSync, openSync, writeSync } from 'node:fs'
import { Wal } from 'keelson/wal'

const [dir] = process.argv.slice(2)
const wal = await Wal.open({ dir, maxFileSize: 128 * 1024 })
const refused = new Set()
const kept = []
const append = async (number) => {
  const entry = Buffer.alloc(8 * 1024)
  entry.writeUInt32LE(number)
  try {
    await wal.append(1, entry)
    kept.push(number)
  } catch (error) {
    refused.add(error.code)
  }
}

const taken = []

/** Opens files until the process may open no more. */
const takeAll = () => {
  try {
    for (;;) taken.push(openSync('/dev/null'))
  } catch {
    // There is none left.
  }
}

await append(0)
for (let number = 1; number < 100; number++) {
  // The maker of spares may have held one that is free by now, and one is enough for every roll.
  takeAll()
  await append(number)
}
for (const descriptor of taken) closeSync(descriptor)
for (let number = 100; number < 200; number++) await append(number)
await wal.close()

const again = await Wal.open({ dir })
const found = []
for await (const { bytes } of again.read()) found.push(Buffer.from(bytes).readUInt32LE(0))
await again.close()
writeSync(3, JSON.stringify({ refused: [...refused], kept, found }))
