/** Members of an engine in a test: they end with it. */
import { onTestFinished } from 'vitest'
import { SpreadWorld } from './spread-world.ts'

export class SpreadMembers extends SpreadWorld {
  constructor(...given: ConstructorParameters<typeof SpreadWorld>) {
    super(...given)
    onTestFinished(() => this.close())
  }
}
