import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min

/** How an image becomes the input, as `resnet50.json` says it, for the mode `crop`; resized as Pillow does it. */
class Fit(private val height: Int, private val width: Int, private val cropRatio: Double, resampling: String) {
    private val bicubic = resampling == "bicubic"

    /** Returns RGB, 0 to 255, row by row, of an upright image of `sourceWidth * sourceHeight` pixels in ARGB. */
    fun apply(argb: IntArray, sourceHeight: Int, sourceWidth: Int): FloatArray {
        val step = min(sourceHeight.toDouble() / height, sourceWidth.toDouble() / width) * cropRatio
        val columns = weights(sourceWidth, width, step)
        val rows = weights(sourceHeight, height, step)
        val narrow = FloatArray(sourceHeight * width * 3)
        for (y in 0 until sourceHeight) for (x in 0 until width) for (channel in 0..2) {
            val shift = 16 - 8 * channel
            narrow[(y * width + x) * 3 + channel] =
                columns[x].sum { argb[y * sourceWidth + it].shr(shift).and(255).toFloat() }
        }
        return FloatArray(height * width * 3) { place ->
            val (y, rest) = place / (width * 3) to place % (width * 3)
            rows[y].sum { narrow[it * width * 3 + rest] }
        }
    }

    /** Returns for each pixel of an axis of the result the pixels of the image that it is made of. */
    private fun weights(source: Int, pixels: Int, step: Double): List<Weights> {
        val start = (source - pixels * step) / 2
        val scale = max(step, 1.0)  // where an image is made smaller, each pixel counts
        val reach = scale * if (bicubic) 2 else 1
        return List(pixels) { place ->
            val center = start + (place + 0.5) * step
            val first = max(0, (center - reach + 0.5).toInt())
            val last = min(source, (center + reach + 0.5).toInt())
            val values = DoubleArray(last - first) { kernel(abs(first + it + 0.5 - center) / scale) }
            val sum = values.sum()
            Weights(first, DoubleArray(values.size) { values[it] / sum })
        }
    }

    private fun kernel(x: Double): Double = when {
        !bicubic -> max(0.0, 1 - x)
        x < 1 -> (1.5 * x - 2.5) * x * x + 1
        x < 2 -> ((-0.5 * x + 2.5) * x - 4) * x + 2
        else -> 0.0
    }

    private class Weights(val first: Int, val values: DoubleArray) {
        inline fun sum(pixel: (Int) -> Float): Float {
            var sum = 0.5  // rounded, as in 8 bits
            for (index in values.indices) sum += values[index] * pixel(first + index)
            return sum.toInt().coerceIn(0, 255).toFloat()
        }
    }
}
