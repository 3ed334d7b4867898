import android.content.res.AssetManager
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import org.json.JSONObject

/** Classifies bitmaps by an export of the format `litert`, whose three files are assets of the app. */
class Classifier(assets: AssetManager) : AutoCloseable {
    private val labels = text(assets, "labels.txt").lines()
    private val fit = fit(JSONObject(text(assets, "resnet50.json")))
    private val model = CompiledModel.create(assets, "model.tflite", CompiledModel.Options(Accelerator.CPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** Returns the most probable class of an upright bitmap in software memory, and its probability. */
    fun classify(bitmap: Bitmap): Pair<String, Float> {
        val argb = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        inputs[0].writeFloat(fit.apply(argb, bitmap.height, bitmap.width))
        model.run(inputs, outputs)
        val probabilities = outputs[0].readFloat()
        val best = probabilities.indices.maxByOrNull { probabilities[it] }!!
        return labels[best] to probabilities[best]
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }

    private companion object {
        fun text(assets: AssetManager, name: String): String = assets.open(name).bufferedReader().use { it.readText() }

        fun fit(manifest: JSONObject): Fit {
            val (fit, size) = manifest.getJSONObject("fit") to manifest.getJSONObject("export").getJSONArray("image_size")
            require(fit.getString("mode") == "crop") { "expected a model whose images are cropped" }
            return Fit(size.getInt(0), size.getInt(1), fit.getDouble("crop_ratio"), fit.getString("resampling"))
        }
    }
}
