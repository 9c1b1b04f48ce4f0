/** Entry of a worker thread; the DOM is loaded once, when the thread starts. */
import { extract } from '../../streams/2-processor/extract.ts'
import { announced } from './extract-task.ts'

export default announced(extract)
