// Runs programs in this one process, each in its folder, until it has nothing left to do; then the next one begins. Says
// `begins` before each. Arguments: their files.
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'

const files = process.argv.slice(2)
let isOver = true

// The moment at which a process of its own would end.
process.on('beforeExit', () => {
  if (!isOver) throw new Error('the program waits for what never comes')
  const file = files.shift()
  if (file === undefined) return
  console.log('begins')
  process.chdir(dirname(file))
  isOver = false
  // Node 22 has no second such moment if nothing has happened since the first.
  void import(pathToFileURL(file)).then(() => {
    setImmediate(() => {
      isOver = true
    })
  })
})
