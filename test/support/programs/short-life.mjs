// One life of an instance in the folder of the first argument. Reports on pipe 3 what it read, or the code of the refusal.
import { writeSync } from 'node:fs'
import { start } from 'keelson'

const [dir] = process.argv.slice(2)
try {
  const app = await start({ dir })
  for (let number = 0; number < 100; number++) await app.store.put(`k${number}`, 'x'.repeat(1000))
  await app.control.flushAll()
  const read = app.store.get('k5').length
  await app.close()
  writeSync(3, `read ${read}`)
} catch (error) {
  writeSync(3, error.code)
}
