/** Writes `docs/drawings/NAME.svg` for each drawing: `node scripts/drawings/draw.mjs`. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { figures } from './figures.mjs'

const folder = new URL('../../docs/drawings/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const [name, figure] of Object.entries(figures))
  writeFileSync(new URL(`${name}.svg`, folder), figure().svg)
