/** Members of one folder in a test: they end with it. */
import { onTestFinished } from 'vitest'
import { FolderWorld } from './folder-world.ts'

export class FolderMembers extends FolderWorld {
  constructor(...given: ConstructorParameters<typeof FolderWorld>) {
    super(...given)
    onTestFinished(() => this.close())
  }
}
