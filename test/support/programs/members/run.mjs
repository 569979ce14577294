// Runs programs one after another as one-after-another.mjs does, each with two more members of its folder: where the program
// calls `start`, three real processes start as members, each with the tree that the program made there. The program itself is
// the member `c`. The other two load the same program for its tree; their `start` never answers it.
// What each program prints follows a line `begins`. Arguments: `three` or `alone`, and the files.
import { fork, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { register } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { becomeFirst, becomeOther, endLast } from './start.mjs'

// `keelson` of the programs is the built package with the `start` of start.mjs.
const hooks = `
  const ours = { keelson: ${JSON.stringify(new URL('keelson.mjs', import.meta.url).href)}, 'keelson/flow': ${JSON.stringify(new URL('flow.mjs', import.meta.url).href)} }
  export const resolve = (name, context, next) =>
    Object.hasOwn(ours, name) && !context.parentURL?.includes('/programs/members/')
      ? { url: ours[name], shortCircuit: true }
      : next(name, context)`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

/** No program takes so long, in ms. */
const patienceMs = 20_000

const [how, ...files] = process.argv.slice(2)

/** Loads a program. Its folder is the working folder. */
const load = (file) => {
  process.chdir(dirname(file))
  return import(pathToFileURL(file))
}

if (how === 'other') {
  const [member, questions, answers] = files
  process.on('disconnect', () => process.exit())
  becomeOther({ member, questions, answers, load })
} else {
  const others = []
  if (how === 'three') {
    const dir = mkdtempSync(join(tmpdir(), 'keelson-programs-'))
    process.on('exit', () => {
      for (const { child } of others) child.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    })
    for (const member of ['a', 'b']) {
      const [questions, answers] = [join(dir, `${member}-in`), join(dir, `${member}-out`)]
      spawnSync('mkfifo', [questions, answers])
      const child = fork(import.meta.filename ?? new URL(import.meta.url).pathname, [
        ...['other', member, questions, answers],
      ])
      child.unref()
      child.channel.unref()
      others.push({ child, questions, answers })
    }
  }
  becomeFirst(others)
  let isOver = true
  // The moment at which a process of its own would end.
  process.on('beforeExit', () => {
    if (!isOver) {
      console.log('waits for what never comes')
      process.exit(1)
    }
    const file = files.shift()
    if (file === undefined) process.exit()
    console.log('begins')
    isOver = false
    for (const { child } of others) child.send({ file })
    const over = () =>
      setImmediate(() => {
        isOver = true
      })
    let timer
    const tooLong = new Promise((_, reject) => {
      timer = setTimeout(reject, patienceMs, new Error('it waits for what never comes'))
    })
    Promise.race([load(file), tooLong])
      .catch((error) => {
        console.log(`throws ${error.code ?? error.name}: ${error.message}`)
        return endLast()
      })
      .finally(() => {
        clearTimeout(timer)
        over()
      })
  })
}
