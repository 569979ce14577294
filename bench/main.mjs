#!/usr/bin/env node
/** `npm run bench -- NAME [options]`: each file beside this one is a bench; without a name they are listed. */
import { readdirSync, writeFileSync } from 'node:fs'
import { environment, environmentLine } from './harness/environment.mjs'
import { readOptions, unmet } from './harness/options.mjs'

const names = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.mjs') && file !== 'main.mjs')
  .map((file) => file.slice(0, -'.mjs'.length))

const list = async () => {
  console.log(
    'npm run bench -- NAME [--quick] [--cpu] [--only CASE] [--with CONTENDER,…] [--repeats N] [--rows N] [--minutes N] [--pace N] [--out DIR] [--virtual] [--keep] [--json FILE]\n',
  )
  for (const name of names) console.log(`  ${name.padEnd(12)} ${(await load(name)).about}`)
}

const load = (name) => import(`./${name}.mjs`)

const main = async () => {
  const options = readOptions(process.argv.slice(2))
  if (options.name === undefined) return list()
  if (!names.includes(options.name)) {
    await list()
    throw new Error(`no bench ${options.name}`)
  }
  const where = environment()
  console.log(`${environmentLine(where)}\n`)
  const results = await (await load(options.name)).run(options)
  const unknown = unmet(options)
  if (unknown.length > 0) throw new Error(`no case and no contender: ${unknown.join(', ')}`)
  if (options.json !== undefined) {
    const { json, name, ...how } = options
    const report = { bench: name, command: how, environment: where, results }
    writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  }
}

main().catch((error) => {
  console.error(error.message)
  // A contender that waits for its next order would keep this process.
  process.exit(1)
})
