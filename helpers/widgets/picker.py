"""Pick an image: from a grid, by its number, or bring your own."""
import base64
import html
import io
import uuid

import ipywidgets as w
import torch
import traitlets
from torch.nn.functional import interpolate
from torchvision.transforms.functional import to_pil_image

from .. import pictures
from .explorer import in_words



class ImagePicker(w.VBox):
    """A page of images as buttons (with arrows for the other pages), a filter for the class, a number to type and an upload.

    value: the number of an image in `images`, or a tensor 1 x C x H x W: one that the learner brought, made to fit the set.
    """
    value = traitlets.Any(0)

    def __init__(self, images, value=0, per_page=20, tile=38, light_on_dark=False):
        self.images, self.tile, self.light_on_dark = images, tile, light_on_dark
        self.shown = torch.arange(len(images))      # those of the class that was asked for
        self.page = 0
        self.name = f"workbook-tiles-{uuid.uuid4().hex}"     # one page of JupyterLab may hold many kernels
        self.style_sheet, self.said = w.HTML(), w.HTML()
        self.said.add_class("workbook-picked")
        self.number = w.BoundedIntText(value=value, min=0, max=len(images) - 1, description=f"image number (0 to {len(images) - 1})",
                                       style={"description_width": "initial"}, layout=w.Layout(width="250px"))
        self.kind = w.Dropdown(options=[("any", -1), *((name, i) for i, name in enumerate(images.classes) if (images.labels == i).any())],
                               description="class", layout=w.Layout(width="190px"))
        self.upload = w.FileUpload(accept="image/*", multiple=False, description="your own picture", layout=w.Layout(width="180px"),
                                   tooltip="a PNG, JPEG, WebP, GIF or BMP from your computer; it stays there")
        back, on = (w.Button(description=arrow, tooltip=what, layout=w.Layout(width="34px")) for arrow, what in
                    (("◀", "previous images"), ("▶", "next images")))
        self.tiles = [w.Button(layout=w.Layout(width=f"{tile}px", height=f"{tile}px", margin="1px", padding="0")) for _ in range(per_page)]
        for place, button in enumerate(self.tiles):
            button.add_class(self.name)
            button.add_class(f"{self.name}-{place}")
            button.on_click(lambda button, place=place: self._pick(place))
        back.on_click(lambda button: self._turn(-1))
        on.on_click(lambda button: self._turn(1))
        self.number.observe(lambda change: self._choose(self.number.value), "value")
        self.kind.observe(lambda change: self._filter(), "value")
        self.upload.observe(lambda change: self._read(), "value")
        super().__init__([w.HBox([self.number, self.kind, self.upload, self.said], layout=w.Layout(flex_flow="row wrap")),
                          w.HBox([back, *self.tiles, on], layout=w.Layout(flex_flow="row wrap", align_items="center")), self.style_sheet])
        self._turn_to(value)
        self._choose(value)

    @property
    def places(self):
        """The numbers of the images on this page."""
        first = self.page * len(self.tiles)
        return self.shown[first:first + len(self.tiles)].tolist()

    def _turn_to(self, number):
        found = (self.shown == number).nonzero()
        self.page = found[0].item() // len(self.tiles) if len(found) else 0
        self._draw_tiles()

    def _turn(self, by):
        self.page = (self.page + by) % -(-len(self.shown) // len(self.tiles))
        self._draw_tiles()

    def _filter(self):
        self.shown = torch.arange(len(self.images)) if self.kind.value == -1 else (self.images.labels == self.kind.value).nonzero()[:, 0]
        self.page = 0
        self._draw_tiles()

    def _pick(self, place):
        self.number.value = self.places[place]
        self._choose(self.places[place])     # also when the number did not change: after a picture of one's own, say

    def _choose(self, number):
        self.value = number
        self.said.value = f"<span role='status'>image {number}, labelled {html.escape(self.images.classes[self.images.labels[number]])}</span>"
        if number not in self.places:
            if number not in self.shown:
                self.kind.value = -1
            self._turn_to(number)
        else:
            self._draw_tiles()

    def _read(self):
        if not self.upload.value:
            return
        file = self.upload.value[0]
        name = html.escape(file["name"])
        try:
            channels, height, _ = self.images.images.shape[1:]
            self.value = pictures.read(file["content"], height, channels, self.light_on_dark)
            self.said.value = f"<span role='status'>{name}: its middle, {height} x {height}{', grey' * (channels == 1)}</span>"
            self._draw_tiles()
        except ValueError as error:
            self.said.value = in_words(ValueError(str(error).replace("this file", file["name"], 1)))
        except Exception as error:  # whatever it is, in words
            self.said.value = in_words(error)
        finally:
            self.upload.value = ()      # forgets the file, and takes the same one again

    def _draw_tiles(self):
        """The page as one sprite behind the buttons."""
        places, tile = self.places, self.tile
        small = interpolate(self.images.images[places], (tile - 2, tile - 2), mode="bilinear", antialias=True).clamp(0, 1)
        file = io.BytesIO()
        to_pil_image(torch.cat(list(small), 2)).save(file, "png", compress_level=3)
        rules = [f".{self.name}.{self.name} {{background:url(data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}) no-repeat;border:1px solid #888}}"]
        for place, button in enumerate(self.tiles):
            button.layout.visibility = "visible" if place < len(places) else "hidden"
            rules.append(f".{self.name}.{self.name}-{place} {{background-position:{-place * (tile - 2)}px 0}}")
            if place < len(places):
                number = places[place]
                button.tooltip = f"image {number}: {self.images.classes[self.images.labels[number]]}"
                if isinstance(self.value, int) and number == self.value:
                    rules.append(f".{self.name}.{self.name}-{place} {{outline:3px solid #d55e00}}")
        self.style_sheet.value = f"<style>{' '.join(rules)}</style>"
