from django.db import migrations, models

from encounters import chain


def chain_what_is_there(apps, schema_editor):
    records = apps.get_model("encounters", "AccessRecord").objects.using(schema_editor.connection.alias)
    previous = chain.BEGINNING
    for number, record in enumerate(records.order_by("at", "pk").iterator(), start=1):
        record.number = number
        record.previous = previous
        record.digest = previous = chain.digest_of(record)
        record.save(update_fields=["number", "previous", "digest"])


class Migration(migrations.Migration):
    """Number and chain the access records that are there. The triggers are put up after each `migrate`."""

    dependencies = [("encounters", "0002_uploads_continue")]

    operations = [
        migrations.AlterModelOptions(name="accessrecord", options={"ordering": ["number"]}),
        migrations.AlterField("accessrecord", "at", models.DateTimeField(editable=False)),
        migrations.AlterField("accessrecord", "reason", models.CharField(blank=True, max_length=500)),
        migrations.AddField("accessrecord", "number", models.PositiveBigIntegerField(editable=False, null=True)),
        migrations.AddField("accessrecord", "previous", models.CharField(default="", editable=False, max_length=64), preserve_default=False),
        migrations.AddField("accessrecord", "digest", models.CharField(editable=False, max_length=64, null=True)),
        migrations.RunPython(chain_what_is_there, migrations.RunPython.noop),
        migrations.AlterField("accessrecord", "number", models.PositiveBigIntegerField(editable=False, unique=True)),
        migrations.AlterField("accessrecord", "digest", models.CharField(editable=False, max_length=64, unique=True)),
    ]
