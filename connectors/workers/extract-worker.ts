/** Entry of a worker thread; the DOM is loaded once, when the thread starts. */
export { extract as default } from '../../streams/2-processor/extract.ts'
